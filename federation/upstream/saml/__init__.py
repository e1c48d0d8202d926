"""SAML 2.0 service provider: messages are read twice, verified in this process, and believed where a signature says."""

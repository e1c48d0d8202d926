// oidc-provider, the certified OpenID Provider, as an identity provider: one client, PKCE, claims in userInfo only.
// The pages for login and consent are its own (devInteractions): any name signs in, with any password.

import Provider from "oidc-provider";

const options = JSON.parse(process.argv[2]);

const provider = new Provider(options.issuer, {
  clients: [
    {
      client_id: options.clientId,
      client_secret: options.secret,
      redirect_uris: options.callbacks,
      token_endpoint_auth_method: options.method,
      id_token_signed_response_alg: options.algorithm,
    },
  ],
  clientAuthMethods: [options.method],
  jwks: { keys: options.keys },
  cookies: { keys: [options.secret] },
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["given_name", "family_name"],
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.com`,
      email_verified: true,
      given_name: "Grace",
      family_name: "Hopper",
    }),
  }),
  pkce: { required: () => true },
});

provider.listen(options.port, "127.0.0.1");

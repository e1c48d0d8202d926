"""Whether a message is valid by the schemas of SAML 2.0: the OASIS documents that pysaml2 brings, judged by libxml2.

pysaml2 judges by a validator in Python, at every signature, on a document that it has written anew: half of what an
assertion costs. libxml2 takes a hundredth of that, and judges the very element that was signed.
"""

from importlib.resources import files
from typing import Any

from lxml import etree

# in this order: libxml2 reads each namespace once, so that no import leads to the web
SCHEMAS = {
    "http://www.w3.org/XML/1998/namespace": "xml.xsd",
    "http://www.w3.org/2000/09/xmldsig#": "xmldsig-core-schema.xsd",
    "http://www.w3.org/2001/04/xmlenc#": "xenc-schema.xsd",
    "http://www.w3.org/2009/xmlenc11#": "xenc-schema-11.xsd",
    "urn:oasis:names:tc:SAML:2.0:assertion": "saml-schema-assertion-2.0.xsd",
    "urn:oasis:names:tc:SAML:2.0:protocol": "saml-schema-protocol-2.0.xsd",
}


class _Packaged(etree.Resolver):
    """Finds the schemas in pysaml2's package, and nothing anywhere else."""

    def resolve(self, system_url: str, public_id: str, context: Any) -> Any:
        if system_url not in SCHEMAS.values():
            raise OSError(f"no schema leads to {system_url}")
        text = files("saml2.data.schemas").joinpath(system_url).read_bytes()
        return self.resolve_string(text, context, base_url=system_url)


def _compiled() -> etree.XMLSchema:
    """Compile the schemas, in 20 ms. The result is only read, by any number of threads."""
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)
    parser.resolvers.add(_Packaged())
    imports = "".join(f'<xs:import namespace="{name}" schemaLocation="{file}"/>' for name, file in SCHEMAS.items())
    text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text, parser))


# while the module is imported, in one thread: libxml2 sets up its types at the first compilation, and two at once crash
_SCHEMA = _compiled()


def is_valid(element: etree._Element) -> bool:
    """Whether ``element`` and everything in it is as the schemas say. It must belong to one thread."""
    return bool(_SCHEMA.validate(element))

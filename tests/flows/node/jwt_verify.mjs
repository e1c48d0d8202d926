// aws-jwt-verify as an API that is called with tokens. Its fetcher, its cache and its checks are its own.
import { CognitoJwtVerifier, JwtVerifier } from 'aws-jwt-verify'
import { validateCognitoJwtFields } from 'aws-jwt-verify/cognito-verifier'
import { done, options, refusal } from './app.mjs'

const { issuer, userPoolId, clientId, idToken, accessToken } = options

// Its own way to verify the tokens of another host: an issuer, where its keys are, and Cognito's checks.
const verifierOf = (tokenUse) =>
  JwtVerifier.create({
    issuer,
    audience: null,
    jwksUri: `${issuer}/.well-known/jwks.json`,
    customJwtCheck: ({ payload }) => validateCognitoJwtFields(payload, { clientId, tokenUse, groups: ['admins'] }),
  })
const generic = {
  id: await verifierOf('id').verify(idToken),
  access: await verifierOf('access').verify(accessToken),
  swapped: (await refusal(verifierOf('id').verify(accessToken))).constructor.name,
}
const audience = JwtVerifier.create({ issuer, audience: clientId, jwksUri: `${issuer}/.well-known/jwks.json` })
generic.audience = (await audience.verify(idToken)).aud

// The pool id alone means a host of AWS to it: our tokens are nobody's there.
const elsewhere = await refusal(CognitoJwtVerifier.create({ userPoolId, clientId, tokenUse: 'id' }).verify(idToken))

// One host name changed: the pool id is still parsed by its own rule, and everything after that is untouched.
const parse = CognitoJwtVerifier.parseUserPoolId
CognitoJwtVerifier.parseUserPoolId = (id, other) => {
  const theirs = parse.call(CognitoJwtVerifier, id, other)
  return other ? theirs : { issuer, jwksUri: `${issuer}/.well-known/jwks.json` }
}
const cognito = CognitoJwtVerifier.create({ userPoolId, clientId, tokenUse: null, groups: ['admins'] })
const moved = {
  id: await cognito.verify(idToken, { tokenUse: 'id' }),
  access: await cognito.verify(accessToken, { tokenUse: 'access', scope: ['openid'] }),
  scope: (await refusal(cognito.verify(accessToken, { tokenUse: 'access', scope: ['nobody/asked'] }))).constructor.name,
  client: (await refusal(cognito.verify(idToken, { tokenUse: 'id', clientId: 'another' }))).constructor.name,
  group: (await refusal(cognito.verify(idToken, { tokenUse: 'id', groups: ['strangers'] }))).constructor.name,
  tampered: (await refusal(cognito.verify(idToken.replace(/.{4}$/, 'AAAA'), { tokenUse: 'id' }))).constructor.name,
  cached: cognito.verifySync(accessToken, { tokenUse: 'access' }).sub,
}
done({ generic, elsewhere: elsewhere.constructor.name, moved })

// openid-client as the app, given the issuer and its client's credentials, and nothing else.
import * as client from 'openid-client'
import { done, open, options, refusal } from './app.mjs'

const METHODS = {
  client_secret_basic: client.ClientSecretBasic,
  client_secret_post: client.ClientSecretPost,
  none: client.None,
}

const { issuer, clientId, secret, method, callback, logout, scope } = options
const insecure = issuer.startsWith('http:') ? { execute: [client.allowInsecureRequests] } : {}
const config = await client.discovery(new URL(issuer), clientId, {}, METHODS[method](secret || undefined), insecure)
client.enableNonRepudiationChecks(config) // check the signature of the ID token too, not only where it came from

async function signIn(extra = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const checks = {
    pkceCodeVerifier,
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
    maxAge: 3600,
  }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    max_age: '3600',
    ...extra,
  })
  return { landed: await open(url, callback), checks }
}

// RFC 9207: an answer that names another issuer, or none, must not be taken for this issuer's
const forged = await signIn()
const mixedUp = new URL(forged.landed)
mixedUp.searchParams.set('iss', 'https://attacker.example')
const mixUp = await refusal(client.authorizationCodeGrant(config, mixedUp, forged.checks))
mixedUp.searchParams.delete('iss')
const missing = await refusal(client.authorizationCodeGrant(config, mixedUp, forged.checks))

const { landed, checks } = await signIn()
const tokens = await client.authorizationCodeGrant(config, landed, checks)
const claims = tokens.claims()
const userInfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const replay = await refusal(client.authorizationCodeGrant(config, landed, checks))

const second = await signIn()
const fresh = await client.authorizationCodeGrant(config, second.landed, second.checks)
const renewed = await client.refreshTokenGrant(config, fresh.refresh_token)
const renewedUserInfo = await client.fetchUserInfo(config, renewed.access_token, claims.sub)
await client.tokenRevocation(config, fresh.refresh_token, { token_type_hint: 'refresh_token' })
const afterRevocation = await refusal(client.refreshTokenGrant(config, fresh.refresh_token))
const userInfoAfterRevocation = await refusal(client.fetchUserInfo(config, renewed.access_token, claims.sub))

const silent = await signIn({ prompt: 'none' })
const signedOut = await open(
  client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: logout,
    state: 'bye+bye=&',
  }),
  logout,
)
const gone = await signIn({ prompt: 'none' })
const loginRequired = await refusal(client.authorizationCodeGrant(config, gone.landed, gone.checks))

done({
  mixUp: mixUp.code,
  missing: missing.code,
  claims,
  tokenMembers: Object.keys(tokens),
  userInfo,
  replay: replay.error,
  renewed: {
    members: Object.keys(renewed),
    sub: renewed.claims().sub,
    sameToken: renewed.access_token === fresh.access_token,
  },
  renewedUserInfo,
  afterRevocation: afterRevocation.error,
  userInfoAfterRevocation: {
    status: (userInfoAfterRevocation.response ?? userInfoAfterRevocation.cause).status,
    challenge: userInfoAfterRevocation.cause?.[0]?.parameters, // when it could be read as RFC 9110 has it
  },
  silent: silent.landed.searchParams.has('code'),
  logoutState: signedOut.searchParams.get('state'),
  loginRequired: loginRequired.error,
})

// Auth.js with its Cognito provider: a site whose handler is called with requests, as a framework would.
import { Auth, setEnvDefaults } from '@auth/core'
import Cognito from '@auth/core/providers/cognito'
import { done, open, options } from './app.mjs'

const { issuer, clientId, secret, callback } = options
const provider = { clientId, issuer, checks: ['pkce', 'state', 'nonce'] }
const config = {
  providers: [
    Cognito(
      secret
        ? { ...provider, clientSecret: secret }
        : { ...provider, client: { token_endpoint_auth_method: 'none' } },
    ),
  ],
  secret: 'tests only '.repeat(5),
  trustHost: true,
  basePath: '/auth',
  callbacks: {
    jwt: ({ token, account, profile }) => (account ? { ...token, account, profile } : token),
    session: ({ session, token }) => ({ ...session, account: token.account, profile: token.profile }),
  },
}
setEnvDefaults({}, config)

const cookies = new Map()

/** Send a request to the site, with its visitor's cookies. */
async function visit(url, body) {
  const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
  const request = body ? { method: 'POST', headers, body: new URLSearchParams(body) } : { headers }
  const response = await Auth(new Request(url, request), config)
  for (const cookie of response.headers.getSetCookie()) {
    const [name, ...value] = cookie.split(';')[0].split('=')
    cookies.set(name, value.join('='))
  }
  return response
}

const site = new URL('/auth/', callback)
const { csrfToken } = await (await visit(new URL('csrf', site))).json()
const sent = await visit(new URL('signin/cognito', site), { csrfToken, callbackUrl: new URL('/welcome', site).href })
const landed = await open(sent.headers.get('location'), callback)
const arrived = await visit(landed)
const session = await (await visit(new URL('session', site))).json()
done({ arrived: arrived.headers.get('location'), session })

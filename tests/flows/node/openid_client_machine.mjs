// openid-client as a machine: the client credentials grant, found through discovery.
import * as client from 'openid-client'
import { done, options } from './app.mjs'

const { issuer, clientId, secret, scope } = options
const insecure = issuer.startsWith('http:') ? { execute: [client.allowInsecureRequests] } : {}
const config = await client.discovery(new URL(issuer), clientId, {}, client.ClientSecretBasic(secret), insecure)
const tokens = await client.clientCredentialsGrant(config, { scope })
done({ members: Object.keys(tokens), expiresIn: tokens.expiresIn(), accessToken: tokens.access_token })

// A single page app with oidc-client-ts (which react-oidc-context wraps), bundled and run in a browser.
import { UserManager, WebStorageStateStore } from 'oidc-client-ts'

const config = JSON.parse(document.getElementById('config').textContent)
const manager = new UserManager({ ...config, userStore: new WebStorageStateStore({ store: window.localStorage }) })

const known = (user) => user && { profile: user.profile, accessToken: user.access_token, scope: user.scope, state: user.state }

window.signIn = (input) => manager.signinRedirect(input)
window.whoAmI = async () => known(await manager.getUser())
window.renew = async () => known(await manager.signinSilent())
window.forget = () => manager.revokeTokens(['refresh_token'])
window.leave = (input) => manager.signoutRedirect(input)

const query = new URLSearchParams(location.search)
window.seen = {}
if (query.has('code') || query.has('error')) {
  try {
    window.seen = { user: known(await manager.signinRedirectCallback()) }
  } catch (error) {
    window.seen = { error: error.error ?? String(error) }
  }
} else if (query.has('state')) {
  window.seen = { signedOut: (await manager.signoutRedirectCallback()).userState ?? true }
}
document.title = 'ready'

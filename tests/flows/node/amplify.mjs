// A single page app with AWS Amplify, bundled and run in a browser. It writes what happened to window.seen.
import { Amplify } from 'aws-amplify'
import { fetchAuthSession, getCurrentUser, signInWithRedirect, signOut } from 'aws-amplify/auth'
import { Hub } from 'aws-amplify/utils'

const seen = (window.seen = { events: [] })
Hub.listen('auth', ({ payload }) => {
  seen.events.push({ event: payload.event, data: typeof payload.data === 'string' ? payload.data : undefined })
  if (payload.data?.error) seen.error = String(payload.data.error)
})

Amplify.configure(JSON.parse(document.getElementById('config').textContent))

window.signIn = (input) => signInWithRedirect(input)
window.leave = () => signOut()
window.whoAmI = async () => {
  const { tokens } = await fetchAuthSession()
  const { username, userId } = await getCurrentUser()
  return {
    username,
    userId,
    id: tokens.idToken.payload,
    access: tokens.accessToken.payload,
    accessToken: String(tokens.accessToken),
  }
}

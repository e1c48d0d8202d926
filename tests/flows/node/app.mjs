// What every program here does: read its options, send its user's browser off, report. See tests/flows/apps.py.
import { createInterface } from 'node:readline/promises'

export const options = JSON.parse(process.argv[2])

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

const say = (words) => process.stdout.write(JSON.stringify(words) + '\n')

/** Send the browser to `url`; return the address, beginning with `until`, that it came back to. */
export async function open(url, until) {
  say({ open: String(url), until })
  return new URL((await lines.next()).value)
}

/** Report `result` and end. */
export function done(result) {
  say({ done: result })
  process.stdin.destroy()
}

/** Return what `promise` is rejected with; throw when it is not. */
export async function refusal(promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('this was to be refused')
}

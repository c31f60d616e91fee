// Sends the journeys of COUNT people with Rudder's SDK for Node: node_rudder.cjs HOST WRITE_KEY NAME COUNT PAUSE_MS.
const Rudder = require('@rudderstack/rudder-sdk-node')

const [host, writeKey, name, count, pauseMs] = process.argv.slice(2)
const client = new Rudder(writeKey, { dataPlaneUrl: host, flushAt: 5, flushInterval: 100, retryCount: 12, logLevel: 'error' })
let open = 0
let lost = 0
const heard = (error) => {
  open -= 1
  if (error) {
    lost += 1
    console.error(String(error))
  }
}
const send = (kind, message) => {
  open += 1
  client[kind](message, heard)
}
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

// As browsers draw them: 32 digits.
const cookie = (userId) => Buffer.from(userId).toString('hex').padStart(32, '0')

async function main() {
  for (let number = 0; number < Number(count); number += 1) {
    const userId = `${name}-${number}`
    const context = { campaign: { source: 'baidu', medium: 'cpc', name: 'spring' } }
    send('page', { userId, name: 'Landing', properties: { url: 'https://www.a.example/' }, context })
    send('identify', { userId, traits: { email: `${userId}@b-corp.example`, name: userId } })
    send('group', { userId, groupId: `account-${userId}`, traits: { industry: 'steel' } })
    send('track', { userId, event: 'Form Submitted', properties: { form: 'demo' } })
    send('track', { userId, event: 'Deal Won', properties: { object_id: userId, value: '100.00', currency: 'CNY' } })
    send('alias', { previousId: cookie(userId), userId })
    await pause(Number(pauseMs))
  }
  await client.flush().catch(() => {})
  for (let waited = 0; open > 0 && waited < 120_000; waited += 50) await pause(50)
  process.exit(open || lost ? 1 : 0)
}

main()

// Sends the journeys of COUNT people with Segment's SDK for Node: node_segment.cjs HOST WRITE_KEY NAME COUNT PAUSE_MS.
const { Analytics } = require('@segment/analytics-node')

const [host, writeKey, name, count, pauseMs] = process.argv.slice(2)
const analytics = new Analytics({ host, writeKey, maxEventsInBatch: 5, flushInterval: 100, maxRetries: 30 })
let lost = 0
analytics.on('error', (error) => {
  lost += 1
  console.error(error.code, String(error.reason))
})

// As browsers draw them: 32 digits.
const cookie = (userId) => Buffer.from(userId).toString('hex').padStart(32, '0')

async function main() {
  for (let number = 0; number < Number(count); number += 1) {
    const userId = `${name}-${number}`
    const context = { campaign: { source: 'baidu', medium: 'cpc', name: 'spring' } }
    analytics.page({ userId, name: 'Landing', properties: { url: 'https://www.a.example/' }, context })
    analytics.identify({ userId, traits: { email: `${userId}@b-corp.example`, name: userId } })
    analytics.group({ userId, groupId: `account-${userId}`, traits: { industry: 'steel' } })
    analytics.track({ userId, event: 'Form Submitted', properties: { form: 'demo' } })
    analytics.track({ userId, event: 'Deal Won', properties: { object_id: userId, value: '100.00', currency: 'CNY' } })
    analytics.alias({ previousId: cookie(userId), userId })
    await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)))
  }
  await analytics.closeAndFlush({ timeout: 120_000 })
  process.exit(lost ? 1 : 0)
}

main()

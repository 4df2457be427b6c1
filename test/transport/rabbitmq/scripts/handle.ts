/** An endpoint `Shop` that answers each order by sending to `Out`. Arguments: address of the broker. */
import { z } from 'zod'
import { command, defineEndpoint, handler, openTransport, silentLogger, startEndpoint } from '../../../../src/index.ts'

const [url] = process.argv.slice(2) as [string]
class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
class OrderAccepted extends command('Shop.OrderAccepted', z.object({ OrderId: z.string() })) {}

const shop = defineEndpoint('Shop', {
  handlers: [
    handler(PlaceOrder, async ({ OrderId }, context) => {
      await new Promise((resolve) => setTimeout(resolve, 2))
      await context.send(new OrderAccepted({ OrderId }), { destination: 'Out' })
    }),
  ],
})
await startEndpoint(shop, { transport: await openTransport(url), logger: silentLogger })
process.stdout.write('ready\n')

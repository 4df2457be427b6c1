import { command } from 'nsbus'
import { z } from 'zod'

export class ShipOrder extends command('Shop.ShipOrder', z.object({ OrderId: z.string(), Country: z.string().optional() })) {}

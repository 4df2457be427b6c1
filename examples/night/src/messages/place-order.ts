import { command } from 'nsbus'
import { z } from 'zod'

export class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}

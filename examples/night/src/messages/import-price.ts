import { command } from 'nsbus'
import { z } from 'zod'

export class ImportPrice extends command('Shop.ImportPrice', z.object({ Sku: z.string(), Price: z.number() })) {}

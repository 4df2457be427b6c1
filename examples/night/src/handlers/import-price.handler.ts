import type { IHandleMessages } from 'nsbus'
import { ImportPrice } from '../messages/import-price.ts'

export class ImportPriceHandler implements IHandleMessages<ImportPrice> {
  static readonly handles = ImportPrice

  async handle(price: ImportPrice) {
    if (price.Price < 0) throw new RangeError(`the price of ${price.Sku} is ${price.Price}`)
  }
}

import type { IHandleMessages } from 'nsbus'
import { PlaceOrder } from '../messages/place-order.ts'

const databaseIsUp = false

class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

export class PlaceOrderHandler implements IHandleMessages<PlaceOrder> {
  static readonly handles = PlaceOrder

  async handle(_order: PlaceOrder) {
    if (!databaseIsUp) throw new TimeoutError('no answer from db-3 within 5 s')
  }
}

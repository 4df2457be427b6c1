import type { IHandleMessages } from 'nsbus'
import { ShipOrder } from '../messages/ship-order.ts'

export class ShipOrderHandler implements IHandleMessages<ShipOrder> {
  static readonly handles = ShipOrder

  async handle(order: ShipOrder) {
    const country = order.Country as string
    if (country.toUpperCase() === 'XX') throw new Error(`order ${order.OrderId} goes to the country XX`)
  }
}

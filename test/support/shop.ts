import { z } from 'zod'
import { MessageInterface, command, event, message } from '../../src/index.ts'
import { decimal } from '../../src/zod/index.ts'

// The message types of the recordings, declared as their .NET classes are.
const assembly = { assembly: 'Shop.Messages' }
const orderId = { OrderId: z.string() }

export const OrderStatus = { Unknown: 0, Placed: 1, Shipped: 2, Cancelled: 7 } as const

export class IOrderEvent extends MessageInterface<{ OrderId: string }>('Shop.Messages.IOrderEvent', assembly) {}
export class IOrderCancelled extends MessageInterface<{ Reason: string; OrderId: string }>('Shop.Messages.IOrderCancelled', {
  ...assembly,
  implements: [IOrderEvent],
}) {}

const line = z.object({ Sku: z.string(), Quantity: z.int(), UnitPrice: decimal() })
export class PlaceOrder extends command(
  'Shop.Messages.PlaceOrder',
  z.object({ ...orderId, Customer: z.string(), Total: decimal(), PlacedAt: z.string(), Lines: z.array(line) }),
  assembly,
) {}
export class OrderPlaced extends event('Shop.Messages.OrderPlaced', z.object({ ...orderId, Total: decimal(), Status: z.int() }), {
  ...assembly,
  implements: [IOrderEvent],
}) {}
export class PriorityOrderPlaced extends event(
  'Shop.Messages.PriorityOrderPlaced',
  z.object({ Priority: z.int(), ...orderId, Total: decimal(), Status: z.int() }),
  { ...assembly, implements: [OrderPlaced] },
) {}
export class ExpiringQuote extends command('Shop.Messages.ExpiringQuote', z.object(orderId), {
  ...assembly,
  timeToBeReceived: '00:10:00',
}) {}
export class ReminderDue extends command('Shop.Messages.ReminderDue', z.object(orderId), assembly) {}
export class GetOrderStatus extends command('Shop.Messages.GetOrderStatus', z.object(orderId), assembly) {}
export class GetOrderCount extends command('Shop.Messages.GetOrderCount', z.object({ Customer: z.string() }), assembly) {}
export class GetOrder extends command('Shop.Messages.GetOrder', z.object(orderId), assembly) {}
export class OrderDetails extends message(
  'Shop.Messages.OrderDetails',
  z.object({ ...orderId, Status: z.int(), Total: decimal() }),
  assembly,
) {}
export class CancelOrder extends command('Shop.Messages.CancelOrder', z.object({ ...orderId, Reason: z.string().nullable() }), assembly) {}
export class CancelOrderAck extends message('Shop.Messages.CancelOrderAck', z.object({ ...orderId, Accepted: z.boolean() }), assembly) {}
export class FailingOrder extends command('Shop.Messages.FailingOrder', z.object({ ...orderId, Note: z.string().nullable() }), assembly) {}
export class ShipOrder extends command('Shop.Messages.ShipOrder', z.object({ ...orderId, FailTimes: z.int() }), assembly) {}
export class FlakyOrder extends command('Shop.Messages.FlakyOrder', z.object({ ...orderId, FailTimes: z.int() }), assembly) {}
export class SplitOrder extends command('Shop.Messages.SplitOrder', z.object(orderId), assembly) {}
export class MoveOrder extends command('Shop.Messages.MoveOrder', z.object({ ...orderId, FailTimes: z.int() }), assembly) {}
export class PackOrder extends command('Shop.Messages.PackOrder', z.object(orderId), assembly) {}
export class PrepareOrder extends command('Shop.Messages.PrepareOrder', z.object(orderId), assembly) {}
export class NobodyHandlesThis extends command('Shop.Messages.NobodyHandlesThis', z.object(orderId), assembly) {}
export class PrintLabel extends command('Shop.Messages.PrintLabel', z.object({ ...orderId, Attempt: z.int() }), assembly) {}
export class CountAttempt extends command('Shop.Messages.CountAttempt', z.object({ ...orderId, Attempt: z.int() }), assembly) {}

export const sampleOrderId = '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001'
export const shopHost = { machine: 'shop-host', displayName: 'shop-host', id: '9a5bc0a55361f12743b646d323f22728' }

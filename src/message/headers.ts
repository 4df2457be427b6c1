/** Header names, each written once. Keys are compared ordinally and case-sensitively. */
export const Header = {
  MessageId: 'NServiceBus.MessageId',
  MessageIntent: 'NServiceBus.MessageIntent',
  ConversationId: 'NServiceBus.ConversationId',
  PreviousConversationId: 'NServiceBus.PreviousConversationId',
  RelatedTo: 'NServiceBus.RelatedTo',
  CorrelationId: 'NServiceBus.CorrelationId',
  OriginatingEndpoint: 'NServiceBus.OriginatingEndpoint',
  OriginatingMachine: 'NServiceBus.OriginatingMachine',
  OriginatingAddress: 'NServiceBus.OriginatingAddress',
  OriginatingHostId: '$.diagnostics.originating.hostid',
  ReplyToAddress: 'NServiceBus.ReplyToAddress',
  ContentType: 'NServiceBus.ContentType',
  EnclosedMessageTypes: 'NServiceBus.EnclosedMessageTypes',
  TimeToBeReceived: 'NServiceBus.TimeToBeReceived',
  Version: 'NServiceBus.Version',
  NsbVersion: 'nsb.Version',
  TimeSent: 'NServiceBus.TimeSent',
  DeliverAt: 'NServiceBus.DeliverAt',
  StartNewTrace: 'NServiceBus.OpenTelemetry.StartNewTrace',
  TraceParent: 'traceparent',
  ControlMessage: 'NServiceBus.ControlMessage',
  ReturnCode: 'NServiceBus.ReturnMessage.ErrorCode',
  Retries: 'NServiceBus.Retries',
  RetriesTimestamp: 'NServiceBus.Retries.Timestamp',
  FLRetries: 'NServiceBus.FLRetries',
  FailedQ: 'NServiceBus.FailedQ',
  TimeOfFailure: 'NServiceBus.TimeOfFailure',
  ProcessingStarted: 'NServiceBus.ProcessingStarted',
  ProcessingEnded: 'NServiceBus.ProcessingEnded',
  ProcessingEndpoint: 'NServiceBus.ProcessingEndpoint',
  ProcessingMachine: 'NServiceBus.ProcessingMachine',
  HostId: '$.diagnostics.hostid',
  HostDisplayName: '$.diagnostics.hostdisplayname',
  ExceptionPrefix: 'NServiceBus.ExceptionInfo.',
  ExceptionType: 'NServiceBus.ExceptionInfo.ExceptionType',
  InnerExceptionType: 'NServiceBus.ExceptionInfo.InnerExceptionType',
  ExceptionMessage: 'NServiceBus.ExceptionInfo.Message',
  ExceptionStackTrace: 'NServiceBus.ExceptionInfo.StackTrace',
  ExceptionSource: 'NServiceBus.ExceptionInfo.Source',
  ExceptionHelpLink: 'NServiceBus.ExceptionInfo.HelpLink',
  ExceptionData: 'NServiceBus.ExceptionInfo.Data.',
  OriginatingSagaId: 'NServiceBus.OriginatingSagaId',
  OriginatingSagaType: 'NServiceBus.OriginatingSagaType',
  SagaId: 'NServiceBus.SagaId',
  SagaType: 'NServiceBus.SagaType',
  RetryUniqueMessageId: 'ServiceControl.Retry.UniqueMessageId',
  RetryAcknowledgementQueue: 'ServiceControl.Retry.AcknowledgementQueue',
  RetrySuccessful: 'ServiceControl.Retry.Successful',
  RetryAcknowledgementSent: 'ServiceControl.Retry.AcknowledgementSent',
  RetryTo: 'ServiceControl.RetryTo',
  ReplayCount: 'Nsb.Replay.Count',
  ReplayAt: 'Nsb.Replay.At',
  ReplayOperation: 'Nsb.Replay.Operation',
} as const

/**
 * Headers to add to: those given, later ones winning. Not a spread: on Node 20 adding fifteen properties to an object that a spread has
 * made takes 12 µs, and 0.3 µs to this one. To copy without adding, a spread is the faster one.
 */
export function mutableHeaders(...from: readonly (Readonly<Record<string, string>> | undefined)[]): Record<string, string> {
  return Object.assign({}, ...from) as Record<string, string>
}

/** The Core version whose headers we write; `nsb.Version` says who really wrote them. */
export const coreVersion = '10.2.8'

export type Intent = 'Send' | 'Publish' | 'Subscribe' | 'Unsubscribe' | 'Reply'
const intents: readonly Intent[] = ['Send', 'Publish', 'Subscribe', 'Unsubscribe', 'Reply']

/** Reads `NServiceBus.MessageIntent`: a name in any case, or the digits 1 to 5; undefined for anything else. */
export function parseIntent(text: string | undefined): Intent | undefined {
  if (text === undefined) return undefined
  const byNumber = /^[1-5]$/.test(text) ? intents[Number(text) - 1] : undefined
  return byNumber ?? intents.find((intent) => intent.toLowerCase() === text.toLowerCase())
}

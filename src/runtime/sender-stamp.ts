import packageJson from '../../package.json' with { type: 'json' }
import { Header, coreVersion } from '../message/headers.ts'
import { formatTimestamp } from '../message/wire-formats.ts'

/** Fills in version and time sent where they are missing. */
export function stampSender(headers: Record<string, string>, now: number): void {
  if (headers[Header.Version] === undefined) {
    headers[Header.Version] = coreVersion
    headers[Header.NsbVersion] = packageJson.version
  }
  headers[Header.TimeSent] ??= formatTimestamp(now)
}

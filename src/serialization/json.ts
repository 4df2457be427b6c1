import { readJson } from './json-read.ts'
import { writeJson } from './json-write.ts'

const alsoRead: readonly string[] = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=utf-8',
  'application/json; systemjson',
  'text/json',
]

/**
 * JSON as .NET's System.Text.Json writes it by default: UTF-8 without byte order mark; reads what Newtonsoft writes as well.
 *
 * @throws {NotJsonError} NSB_NOT_JSON
 */
export const jsonSerializer = {
  contentType: 'application/json',
  accepts: (contentType: string) => alsoRead.includes(contentType),
  serialize: (message: object): Uint8Array => Buffer.from(writeJson(message), 'latin1'),
  deserialize: readJson,
}

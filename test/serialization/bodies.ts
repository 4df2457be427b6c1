import { readFileSync, readdirSync } from 'node:fs'

const folder = new URL('../fixtures/wire/bodies/', import.meta.url)

/** Bodies recorded from .NET, byte for byte. */
export function recordedBodies(writer: 'system-text-json' | 'newtonsoft'): readonly { readonly name: string; readonly body: Uint8Array }[] {
  return readdirSync(new URL(`${writer}/`, folder)).map((name) => ({ name, body: readFileSync(new URL(`${writer}/${name}`, folder)) }))
}

export function recordedBody(writer: 'system-text-json' | 'newtonsoft', name: string): Uint8Array {
  return readFileSync(new URL(`${writer}/${name}.json`, folder))
}

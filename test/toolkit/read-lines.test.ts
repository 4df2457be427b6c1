import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lines } from '../../src/cli/run/output.ts'
import { type ReadLine, readLines } from '../../src/toolkit/read-lines.ts'

describe('reading lines', () => {
  const linesOf = async (chunks: readonly (string | Uint8Array)[], longest?: number): Promise<ReadLine[]> => {
    const lines: ReadLine[] = []
    for await (const line of readLines(Readable.from(chunks.map((each) => Buffer.from(each))), longest)) lines.push(line)
    return lines
  }

  it('E-36 gives each with its number, and says of the last whether it was ended', async () => {
    expect(await linesOf(['\uFEFFa\n', '\n', 'b', 'c\r\nd'])).toEqual([
      { number: 1, text: 'a', isOpen: false },
      { number: 3, text: 'bc\r', isOpen: false },
      { number: 4, text: 'd', isOpen: true },
    ])
    expect(await linesOf([])).toEqual([])
  })

  it('E-36 does not keep what is longer than any message', async () => {
    expect(await linesOf(['aaaa', 'aaaa', 'a\nb\n'], 5)).toEqual([
      { number: 1, text: '', problem: 'tooLong', isOpen: false },
      { number: 2, text: 'b', isOpen: false },
    ])
  })

  it('E-36 says of what is not UTF-8 that it is not', async () => {
    expect(await linesOf([Buffer.from([0xff, 0xfe, 0x0a])])).toEqual([{ number: 1, text: '', problem: 'notUtf8', isOpen: false }])
  })

  it('cuts at line feeds alone, whatever else a reader of lines may take for an end', async () => {
    const text = ['a\u2028b\u2029c\u0085d\re\vf\fg', '{"x":"\u2028"}'].join('\n')

    expect((await linesOf([text])).map((line) => line.text)).toEqual(text.split('\n'))
  })

  it('gives the same lines in whatever chunks they come, also where a chunk ends within a character', async () => {
    const piece = fc.constantFrom('a', 'é', '😀', '\u2028', '\r', '\n', ' ')
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(80), { maxLength: 20 }), async (pieces, cuts) => {
        const bytes = Buffer.from(pieces.join(''))
        const at = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].toSorted((a, b) => a - b)
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end))

        const lines = await linesOf(chunks)

        expect(lines.map((line) => line.text)).toEqual(
          pieces
            .join('')
            .split('\n')
            .filter((line) => line.trim() !== ''),
        )
      }),
    )
  })
})

describe('the output of a process', () => {
  const passedOn = (chunks: readonly Uint8Array[]): string[] => {
    const found: string[] = []
    const lines = new Lines((line) => found.push(line))
    for (const chunk of chunks) lines.write(chunk)
    lines.end()
    return found
  }

  it('is passed on in its lines, also where a chunk ends within a character', () => {
    const bytes = Buffer.from('grün\u2028 😀\n\nend')

    expect(passedOn([...bytes].map((byte) => Buffer.of(byte)))).toEqual(['grün\u2028 😀', '', 'end'])
  })

  it('is passed on in pieces where a line has no end, with every character', () => {
    const chunk = Buffer.from('😀'.repeat(1001)).subarray(0, 4003)
    const chunks = Array.from({ length: 1000 }, () => [chunk, Buffer.from('😀').subarray(3)]).flat()

    const found = passedOn(chunks)

    expect(found.length).toBeGreaterThan(2)
    expect(found.join('')).toBe('😀'.repeat(1_001_000))
  })
})

it('nothing but the one reader cuts files and streams into lines', () => {
  const root = join(import.meta.dirname, '../..')
  const cutting = ['src', 'commands'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && /node:readline|\.readLines\(/.test(readFileSync(join(root, folder, name), 'utf8')))
      .map((name) => `${folder}/${name}`),
  )

  expect(cutting).toEqual([])
})

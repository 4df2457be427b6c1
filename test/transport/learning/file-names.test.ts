import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { FileNames } from '../../../src/transport/learning/file-names.ts'

const guidName = fc.uuid().map((id) => `${id}.metadata.txt`)
/** Names that are nearly those of a GUID, among others. */
const otherName = fc.oneof(
  guidName.map((name) => name.toUpperCase()),
  guidName.map((name) => name.replace('-', '0')),
  guidName.map((name) => `${name.slice(0, 5)}g${name.slice(6)}`),
  guidName.map((name) => `${name.slice(0, -3)}TXT`),
  guidName.map((name) => `${name}.metadata.txt`),
  guidName.map((name) => `ſ${name.slice(1)}`),
  fc.string({ minLength: 1, maxLength: 60 }),
)
const someNames = fc.uniqueArray(fc.oneof(guidName, otherName), { maxLength: 200 })

function namesOf(names: readonly string[]): FileNames {
  const kept = new FileNames()
  for (const name of names) kept.add(name)
  return kept
}

describe('names of files in few bytes', () => {
  it('are given back as they were, in the order of adding', () => {
    fc.assert(
      fc.property(someNames, (names) => {
        const kept = namesOf(names)

        assert.deepEqual(
          Array.from({ length: kept.length }, (_, place) => kept.at(place)),
          names,
        )
      }),
    )
  })

  it('compare as texts do', () => {
    fc.assert(
      fc.property(someNames, (names) => {
        const kept = namesOf(names)

        const places = names.map((_, place) => place).toSorted((a, b) => kept.compare(a, b))

        assert.deepEqual(
          places.map((place) => names[place]),
          names.toSorted((a, b) => (a < b ? -1 : 1)),
        )
      }),
    )
  })

  it('are found, whether added before or after the first question, and others are not', () => {
    fc.assert(
      fc.property(someNames, fc.nat(), (names, cut) => {
        const early = names.slice(0, cut % (names.length + 1))
        const kept = namesOf(early)
        assert.deepEqual(
          names.filter((name) => kept.has(name)),
          early,
        )

        for (const name of names.slice(early.length)) kept.add(name)

        assert.ok(names.every((name) => kept.has(name)))
        assert.ok(!kept.has('00000000-0000-4000-8000-00000000000f.metadata.txt.metadata.txt.metadata.txt'))
      }),
    )
  })

  it('are found among ten thousand that differ in one digit', () => {
    const nameOf = (index: number): string => `0f4c3a52-6d1e-4b7a-9c58-${String(index).padStart(12, '0')}.metadata.txt`
    const kept = namesOf(Array.from({ length: 10_000 }, (_, index) => nameOf(2 * index)))

    for (let index = 0; index < 10_000; index++)
      assert.deepEqual([kept.has(nameOf(2 * index)), kept.has(nameOf(2 * index + 1))], [true, false])
    assert.equal(kept.at(9_999), nameOf(19_998))
  })
})

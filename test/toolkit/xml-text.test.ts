import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { XmlText } from '../../src/toolkit/xml-text.ts'

describe('XML on several lines', () => {
  it.each([
    ['<a><b/><c>x</c></a>', '<a>\n  <b/>\n  <c>x</c>\n</a>'],
    ['<?xml version="1.0"?><a  b = "1"\n c=\'"\'><d></d></a>', '<?xml version="1.0"?>\n<a  b = "1"\n c=\'"\'>\n  <d></d>\n</a>'],
    ['<a><!-- <x> --><![CDATA[<b>]]></a>', '<a><!-- <x> --><![CDATA[<b>]]></a>'],
    ['<a><b>one <i>two</i></b><b/></a>', '<a>\n  <b>one <i>two</i></b>\n  <b/>\n</a>'],
    ['<a><b> </b></a>', '<a>\n  <b> </b>\n</a>'],
    ['<a xml:space="preserve"> <b/> </a>', '<a xml:space="preserve"> <b/> </a>'],
    ['<!DOCTYPE a [<!ENTITY b "c">]><a><b>1 > 0</b></a>', '<!DOCTYPE a [<!ENTITY b "c">]>\n<a>\n  <b>1 > 0</b>\n</a>'],
  ])('has tags and texts as they are: %s', (text, laidOut) => {
    assert.equal(XmlText.read(text).laidOut(), laidOut)
    assert.equal(XmlText.read(laidOut).flat(), text)
  })

  it.each([
    ['<a><b></a>', `line 1, column 7: 'a' is closed, and 'b' is open`],
    ['<a>\n<b>', `line 2, column 4: 'b' is not closed`],
    ['</a>', `line 1, column 1: 'a' is closed, and nothing is open`],
    ['<a/><b/>', `line 1, column 5: 'b' is a second element beside the outermost one`],
    ['hello', 'line 1, column 1: a text stands outside of all elements'],
    ['<a/>.', 'line 1, column 5: a text stands outside of all elements'],
    ['', 'line 1, column 1: there is no element'],
    ['<a b="c></a>', `line 1, column 1: '"' is missing`],
    ['<a b', `line 1, column 1: the tag of 'a' does not end`],
    ['<a <b>', `line 1, column 1: the tag of 'a' does not end`],
    ['<a><!-- </a>', `line 1, column 4: '-->' is missing`],
    ['<a>< b/></a>', `line 1, column 4: '<' begins no element`],
  ])('is refused with the place where it is none: %j', (text, message) => {
    assert.throws(() => XmlText.read(text), { message })
  })

  it('stays on one line where it is nested without an end, and is read all the same', () => {
    const deep = `${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`

    assert.equal(XmlText.read(deep).laidOut(), undefined)
    assert.equal(XmlText.read(deep).flat(), deep)
  })

  it('is on one line again what it was', () => {
    const { element } = fc.letrec<{ element: string; inside: string }>((tie) => ({
      inside: fc.oneof({ depthSize: 'small' }, fc.constantFrom('x', ' y ', '<!--c-->', '<d/>'), tie('element')),
      element: fc.array(tie('inside'), { maxLength: 4 }).map((parts) => `<e>${parts.join('')}</e>`),
    }))

    fc.assert(fc.property(element, (text) => assert.equal(XmlText.read(XmlText.read(text).laidOut() as string).flat(), text)))
  })
})

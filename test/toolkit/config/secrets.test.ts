import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { commandWithoutPasswords, withoutPasswords } from '../../../src/toolkit/config/secrets.ts'

describe('a password in a command line', () => {
  it.each([
    ['vault read --token s3cret --field x', 'vault read --token *** --field x'],
    ['get --api-key "a b" x', 'get --api-key "a b" x'],
    ['get --apikey "a b" x', 'get --apikey *** x'],
    [`get -p 'x' --pass "abc`, `get -p 'x' --pass "***`],
    ['curl -u name:s3cret https://host', 'curl -u name:*** https://host'],
    ['curl --user=name:s3cret x', 'curl --user=name:*** x'],
    ['curl -u "name:s3 cret" x', 'curl -u "name:*** x'],
    ['curl -uname:s3cret', 'curl -uname:***'],
    ['cat /run/secrets/a:b', 'cat /run/secrets/a:b'],
  ])('of %s is not shown', (command, shown) => assert.equal(commandWithoutPasswords(command), shown))
})

describe('a password in a text', () => {
  it.each([
    ['amqp://user:secret@host/vhost', 'amqp://user:***@host/vhost'],
    ['amqp://user:se@cr/et@host:5672/vhost, then', 'amqp://user:***@host:5672/vhost, then'],
    ['amqp://user:@host', 'amqp://user:***@host'],
    ['a://b:c@d e://f:g@h', 'a://b:***@d e://f:***@h'],
    ['a://b://c:d@e', 'a://b:***@e'],
    ['amqp://user:se cret@host, then', 'amqp://user:***@host, then'],
    ['amqp://user:a@b c@host', 'amqp://user:***@host'],
    ['/shop/amqp:/user:secret@host', '/shop/amqp:/user:***@host'],
    ['host=h;password=a;b=c;username=u', 'host=h;password=***;username=u'],
    [String.raw`"host=h;password=\"a b\";username=u"`, String.raw`"host=h;password=***;username=u"`],
    ['"a://b:c" and d@e', '"a://b:c" and d@e'],
    ['amqp://host:5672/vhost', 'amqp://host:5672/vhost'],
    ['amqp://user:password@host:5672/vhost', 'amqp://user:password@host:5672/vhost'],
    ['amqp://user:password@host.example/vhost', 'amqp://user:***@host.example/vhost'],
    ['amqp://user:password@host@real', 'amqp://user:***@real'],
    ['amqp://user:sec@ret://user:password@host', 'amqp://user:***@host'],
    ['amqp://user:secret@host or amqp://user:password@host', 'amqp://user:***@host or amqp://user:password@host'],
    [`host=h;password=secret;pwd='a b'`, 'host=h;password=***;pwd=***'],
    ['host=h;password=…', 'host=h;password=…'],
  ])('of %s is not shown', (text, shown) => assert.equal(withoutPasswords(text), shown))

  it('is none of what an expression finds that says it in one line, and takes forever over some texts', () => {
    const said = /(:\/\/)(?!user:password@host(?![\w.-])[^\s'"@]*(?:[\s'"]|$))([^\s:@/]*):[^\s'"]*@/g
    const texts = fc.string({
      unit: fc.constantFrom('://', ':', '@', '/', ' ', '"', 'a', 'user:password@host', '\n'),
      maxLength: 30,
    })

    fc.assert(
      fc.property(texts, (text) => {
        for (const [found] of withoutPasswords(text).matchAll(said)) assert.match(found, /:[*]{3}@$/)
      }),
    )
  })
})

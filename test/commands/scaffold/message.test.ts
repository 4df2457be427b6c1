import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { project } from '../../support/shop-project.ts'
import { nsb } from './installed-project.ts'

describe('nsb scaffold message', () => {
  it('writes the declaration', async () => {
    const folder = project({})

    const { code, stdout, stderr } = await nsb(
      folder,
      'scaffold',
      'message',
      'ShipOrder',
      'OrderId:guid',
      'Quantity:int',
      'Note?:string',
      '--namespace',
      'Shop.Sales',
    )

    assert.equal(code, 0)
    assert.match(stdout, /^ {2}create {2}src\/messages\/ship-order\.ts {3}Shop\.Sales\.ShipOrder \(command\)$/m)
    assert.match(stderr, /Next: nsb scaffold handler ShipOrder/)
    assert.match(
      readFileSync(join(folder, 'src/messages/ship-order.ts'), 'utf8'),
      /Quantity: z\.int32\(\),\n {2}Note: z\.string\(\)\.nullish\(\),/,
    )
  })

  it('shows path and content under --dry-run, and writes nothing', async () => {
    const folder = project({})

    const text = await nsb(folder, 'scaffold', 'message', 'OrderPlaced', '--dry-run')
    const json = await nsb(folder, 'scaffold', 'message', 'OrderPlaced', '--dry-run', '--json')

    assert.match(text.stdout, /--- src\/messages\/order-placed\.ts\nimport \{ event \} from 'nsbus'/)
    const document = JSON.parse(json.stdout) as { schema: string; files: { path: string; action: string; content: string }[] }
    assert.equal(document.schema, 'nsb.scaffold.message/1')
    assert.deepEqual(
      document.files.map(({ path, action }) => [path, action]),
      [['src/messages/order-placed.ts', 'create']],
    )
    assert.ok(!readdirSync(folder).includes('src'))
  })

  it.each([
    [['place-order'], 'NSB_BAD_NAME', 'PlaceOrder'],
    [['../PlaceOrder'], 'NSB_BAD_NAME', '--dir'],
    [['PlaceOrder', 'OrderId:gui'], 'NSB_BAD_PROPERTY', 'guid'],
    [['PlaceOrder', '--dir', '../elsewhere'], 'NSB_BAD_PATH', '--dir'],
    [['PlaceOrder', '--dir', 'nsb.json'], 'NSB_BAD_PATH', '--dir'],
    [['PlaceOrder', '--command', '--event'], 'Error', '--event'],
    [[], 'Error', 'name'],
  ])('refuses %j with exit code 2 and a suggestion, and writes nothing', async (words, code, suggestion) => {
    const folder = project({})

    const result = await nsb(folder, 'scaffold', 'message', ...words)

    assert.equal(result.code, 2)
    assert.match(result.stderr, new RegExp(code))
    assert.ok(result.stderr.includes(suggestion), result.stderr)
    assert.deepEqual(readdirSync(folder).toSorted(), ['.learningtransport', 'nsb.json'])
  })
})

import { describe, expect, it, onTestFinished } from 'vitest'
import { checkAddress } from '../../../src/transport/learning/layout.ts'

function onPlatform(platform: NodeJS.Platform): void {
  const own = process.platform
  Object.defineProperty(process, 'platform', { value: platform })
  onTestFinished(() => void Object.defineProperty(process, 'platform', { value: own }))
}

describe('on Windows', () => {
  it.each(['C:Sales', 'Sales?', 'a|b', 'Sales.', 'Sales ', String.raw`..\Sales`])(
    'CLI-19 %j is no address, because no folder can be called so or it is elsewhere',
    (address) => {
      onPlatform('win32')

      expect(() => checkAddress(address)).toThrow(expect.objectContaining({ code: 'NSB_BAD_ADDRESS' }))
    },
  )

  it('CLI-19 an address of a .NET endpoint is one as everywhere', () => {
    onPlatform('win32')

    expect(checkAddress('Shop.Sales-2')).toBe('Shop.Sales-2')
  })
})

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connectionKeys } from '../../src/toolkit/profile/broker-choice.ts'
import { trustFile } from '../../src/toolkit/trust/trust.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/security.md'), 'utf8')
const sourceOf = (path: string): string => readFileSync(join(root, path), 'utf8')

describe('docs/security.md', () => {
  it('says where a yes is remembered, and that is so', () => {
    const file = trustFile({ XDG_CONFIG_HOME: '/home/me/.config' })

    expect(file).toBe('/home/me/.config/nsb/trust.json')
    expect(page).toContain('`trust.json` beside your configuration file')
  })

  it('names every way of a profile to say the password', () => {
    for (const key of connectionKeys) expect(page).toContain(`\`${key}\``)
  })

  it('names what decides above a project what runs', () => {
    const [, names = ''] = /const steering = \[(.*)\]/.exec(sourceOf('src/toolkit/trust/stranger.ts')) ?? []

    expect(names).not.toBe('')
    for (const name of names.split(', ')) expect(page).toContain(`\`${name.slice(1, -1)}\``)
  })

  it('is where the error that refuses a folder leads', () => {
    expect(sourceOf('docs/errors.md')).toMatch(/### NSB_UNTRUSTED_FOLDER\n[^#]*\(security\.md\)/)
  })
})

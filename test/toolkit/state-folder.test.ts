import { describe, expect, it } from 'vitest'
import { stateFolder } from '../../src/toolkit/state-folder.ts'

describe('the folder of what nsb remembers', () => {
  it.each(['/proc', '/proc/nsb/state', '/tmp/../proc/nsb'])('cannot be in /proc, where making one never ends: %s', (folder) => {
    expect(() => stateFolder({ NSB_STATE_DIR: folder }, 'linux')).toThrow(expect.objectContaining({ code: 'NSB_BAD_STATE_DIR' }))
  })

  it('cannot be there by default either', () => {
    const bad = expect.objectContaining({ code: 'NSB_BAD_STATE_DIR' })
    expect(() => stateFolder({ XDG_STATE_HOME: '/proc/1' }, 'linux', '/home/ann')).toThrow(bad)
    expect(() => stateFolder({}, 'linux', '/proc/ann')).toThrow(bad)
    expect(stateFolder({ NSB_STATE_DIR: '/tmp/nsb', XDG_STATE_HOME: '/proc/1' }, 'linux')).toBe('/tmp/nsb')
  })

  it('is NSB_STATE_DIR, wherever else that is', () => {
    for (const folder of ['/process', 'proc/nsb', '/tmp/nsb']) expect(stateFolder({ NSB_STATE_DIR: folder }, 'linux')).toBe(folder)
  })

  it('is the folder of the user for such things', () => {
    expect(stateFolder({ XDG_STATE_HOME: '/home/ann/.state' }, 'linux', '/home/ann')).toBe('/home/ann/.state/nsb')
    expect(stateFolder({ XDG_STATE_HOME: 'relative' }, 'linux', '/home/ann')).toBe('/home/ann/.local/state/nsb')
  })
  it('CLI-19 is the local folder of the user on Windows', () => {
    const slashes = (path: string): string => path.replaceAll('\\', '/')
    expect(slashes(stateFolder({ LOCALAPPDATA: '/local' }, 'win32', '/users/ann'))).toBe('/local/nsb/state')
    expect(slashes(stateFolder({}, 'win32', '/users/ann'))).toBe('/users/ann/AppData/Local/nsb/state')
  })
})

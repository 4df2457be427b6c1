import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadTemplate, render } from '../../../src/toolkit/scaffold/templates.ts'
import { projectWith } from '../load-handlers/project.ts'

describe('a template', () => {
  it('has its placeholders replaced', () => {
    assert.equal(render('class __Name__Handler {}', { Name: 'PlaceOrder' }), 'class PlaceOrderHandler {}')
  })

  it('indents every line of a placeholder that stands alone', () => {
    assert.equal(render('{\n  __body__\n}\n', { body: 'a()\n\nb()' }), '{\n  a()\n\n  b()\n}\n')
  })

  it('loses the line of a placeholder that stands alone and is empty', () => {
    assert.equal(render('a\n__imports__\nb\n', { imports: '' }), 'a\nb\n')
  })

  it('refuses a placeholder without value', () => {
    expect(() => render('__Other__', { Name: 'x' })).toThrow(expect.objectContaining({ code: 'NSB_BAD_TEMPLATE' }))
    expect(() => render('__constructor__', {})).toThrow(expect.objectContaining({ code: 'NSB_BAD_TEMPLATE' }))
  })

  it('of the project is preferred to the one of nsb', async () => {
    await using project = await projectWith({
      '.nsb/templates/message/template.json': '{"description":"ours"}',
      '.nsb/templates/message/__file__.__ext__': '// __Message__\n',
    })

    const template = await loadTemplate('message', project.root)

    assert.deepEqual(template, { description: 'ours', files: [{ path: '__file__.__ext__', text: '// __Message__\n' }], parts: {} })
  })

  it('that does not exist is refused', async () => {
    await expect(loadTemplate('nothing', '/nowhere')).rejects.toThrow(expect.objectContaining({ code: 'NSB_BAD_TEMPLATE' }))
  })

  it.each(readdirSync(join(import.meta.dirname, '../../../templates')))('%s has a description', async (name) => {
    const template = await loadTemplate(name, '/nowhere')

    assert.match(template.description, /^\w+ /)
    assert.ok(template.files.length > 0)
  })
})

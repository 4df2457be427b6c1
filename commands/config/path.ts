import { existsSync } from 'node:fs'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { userConfigFile } from '../../src/toolkit/config/user-file.ts'
import { findProjectFile } from '../../src/toolkit/project.ts'

export default class ConfigPath extends BaseCommand {
  static override summary = 'print where the configuration files are'
  static override description = `The project's nsb.json is looked for upwards, to the root of the repository.

Exit codes: 0 printed.`
  static override examples = ['<%= config.bin %> config path', '<%= config.bin %> config path --json']

  async run(): Promise<unknown> {
    await this.parse(ConfigPath)
    const project = await findProjectFile(process.cwd())
    const user = userConfigFile(process.env)
    const items = [
      ...(project === undefined ? [] : [{ level: 'project', path: project, exists: true }]),
      { level: 'user', path: user, exists: existsSync(user) },
    ]
    await this.table(items, [
      { name: 'level', value: (item) => item.level },
      { name: 'there', value: (item) => (item.exists ? 'yes' : 'no') },
      { name: 'path', value: (item) => item.path },
    ])
    return { schema: 'nsb.config.path/1', items }
  }
}

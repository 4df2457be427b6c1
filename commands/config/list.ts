import { EffectiveSettings } from '../../src/cli/effective-settings.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'

export default class ConfigList extends EffectiveSettings {
  static override summary = 'list every setting, and where it comes from'
  static override description =
    `First what is in force now (profile, transport, connection or storage, error-queue), then the settings of the files. A flag wins over the environment,
that over the project's nsb.json, that over the user's own file, and that over the default. Passwords are never shown.

Exit codes: 0 listed, 2 a file is not valid.`
  static override examples = [
    '<%= config.bin %> config list',
    '<%= config.bin %> config list --json',
    '<%= config.bin %> config list --columns key,origin',
  ]
  static override flags = listingFlags

  async run(): Promise<unknown> {
    const { flags } = await this.parse(ConfigList)
    const items = await this.settings()
    const sorted = await this.list(
      items,
      [
        { name: 'key', value: (item) => item.key },
        { name: 'value', value: (item) => String(item.value) },
        { name: 'origin', value: (item) => item.origin },
      ],
      flags,
      { id: (item) => item.key, fields: (item) => item, summary: { count: items.length } },
    )
    return { schema: 'nsb.config.list/1', items: sorted }
  }
}

import { Args } from '@oclif/core'
import { EffectiveSettings } from '../../src/cli/effective-settings.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { settingKey } from '../../src/toolkit/config/settings.ts'

export default class ConfigGet extends EffectiveSettings {
  static override summary = 'print one setting'
  static override description = `Prints the value alone; --json and -v say where it comes from. Passwords are never shown.

Exit codes: 0 printed, 2 there is no such setting, 4 it is not set.`
  static override examples = [
    '<%= config.bin %> config get endpoint.errorQueue',
    '<%= config.bin %> config get transport -v',
    '<%= config.bin %> config get profiles.default.transport --json',
  ]
  static override args = {
    key: Args.string({ ignoreStdin: true, required: true, description: 'such as endpoint.name, or transport for the one in force' }),
  }

  async run(): Promise<unknown> {
    const { args } = await this.parse(ConfigGet)
    const found = (await this.settings()).find(({ key }) => key === args.key)
    if (found === undefined) {
      settingKey(args.key)
      throw new NsbError({
        code: 'NSB_NOT_FOUND',
        message: `'${args.key}' is not set.`,
        suggestions: [`nsb config set ${args.key} <value>`, 'nsb config list'],
      })
    }
    this.out(String(found.value))
    this.detail(`from ${found.origin}`)
    return { schema: 'nsb.config.get/1', ...found }
  }
}

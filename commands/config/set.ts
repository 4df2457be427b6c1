import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { lineOfStdin } from '../../src/cli/line-of-stdin.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { changeSetting } from '../../src/toolkit/config/change-setting.ts'
import { hasForeignPassword } from '../../src/toolkit/config/secrets.ts'
import { settingKey, settingValue, shown as shownValue } from '../../src/toolkit/config/settings.ts'
import { userConfigFile } from '../../src/toolkit/config/user-file.ts'
import { findProjectFile } from '../../src/toolkit/project.ts'

export default class ConfigSet extends BaseCommand {
  static override summary = "change one setting in nsb.json, or in the user's own file"
  static override description = `The rest of the file stays as it is written. Nothing is changed when the result would not be valid.

Exit codes: 0 set, or set already, 2 nothing was changed.`
  static override examples = [
    '<%= config.bin %> config set endpoint.errorQueue billing.error',
    '<%= config.bin %> config set routing.Shop.Billing.* Billing',
    '<%= config.bin %> config set profiles.prod.connectionEnv PROD_AMQP --user',
  ]
  static override args = {
    key: Args.string({ ignoreStdin: true, required: true, description: 'such as endpoint.errorQueue or profiles.prod.protect' }),
    value: Args.string({ ignoreStdin: true, required: true, description: 'the value, or - to read one line from stdin' }),
  }
  static override flags = {
    user: Flags.boolean({ summary: 'in the file of the user, which is below that of every project' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ConfigSet)
    const { kind, path } = settingKey(args.key)
    const value = settingValue(args.key, kind, args.value === '-' ? await lineOfStdin('value') : args.value)
    const file = flags.user ? userConfigFile(process.env) : await findProjectFile(process.cwd())
    if (file === undefined)
      throw new NsbError({
        code: 'NSB_CONFIG_INVALID',
        message: 'There is no nsb.json here or above.',
        suggestions: ['Make one: nsb init', `Set it for yourself, in every project: nsb config set ${args.key} … --user`],
      })
    const changed = await changeSetting(file, path, value)
    const isSecret = path[0] === 'profiles' && (path.at(-1) === 'connection' || path.at(-1) === 'management')
    const shown = shownValue(args.key, value)
    if (isSecret && !flags.user && hasForeignPassword(String(value)))
      this.warning(`'${args.key}' has a password, and nsb.json is shared. Better: connectionEnv, connectionFile or connectionCommand.`)
    this.note(`${this.colour.err.done('✓')} ${args.key} is ${printableLine(String(shown))} in ${file}${changed ? '' : ' already'}`)
    return { schema: 'nsb.config.set/1', key: args.key, value: shown, file, changed }
  }
}

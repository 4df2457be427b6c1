import { Args } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { changeSetting } from '../../src/toolkit/config/change-setting.ts'
import { userConfigFile } from '../../src/toolkit/config/user-file.ts'

export default class ProfileUse extends BaseCommand {
  static override summary = 'choose the profile that commands use here'
  static override description =
    `Writes the choice into your own file, for this project alone; nsb.json stays as it is. --profile and NSB_PROFILE overrule it.
Outside of a project it is the choice for every place without an nsb.json.

Exit codes: 0 chosen, 2 there is no such profile.`
  static override examples = ['<%= config.bin %> profile use default', '<%= config.bin %> profile use default --json']
  static override args = { name: Args.string({ ignoreStdin: true, required: true, description: 'name of the profile' }) }

  async run(): Promise<unknown> {
    const { args } = await this.parse(ProfileUse)
    const { profile, protect, transport } = await this.connection({ value: args.name, origin: 'given' })
    const project = await this.project()
    const place = project.file === undefined ? '*' : project.folder
    const file = userConfigFile(process.env)
    const changed = await changeSetting(file, ['uses', place], profile.value)
    const name = printableLine(profile.value)
    this.note(
      `${this.colour.err.done('✓')} ${name} (${transport.value}${protect ? ', protected' : ''}) is in use ${place === '*' ? 'outside of projects' : `in ${place}`}${changed ? '' : ' already'}`,
    )
    const overruling = this.globals.profile
    if (overruling !== undefined && overruling !== profile.value)
      this.warning(`${this.originOf('profile')} names ${printableLine(overruling)}, which overrules it.`)
    this.next(`nsb profile test ${name}`)
    return {
      schema: 'nsb.profile.use/1',
      name: profile.value,
      ...(project.file !== undefined && { project: project.folder }),
      file,
      changed,
    }
  }
}

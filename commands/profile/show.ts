import { Args } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { showProfile } from '../../src/toolkit/profile/profiles.ts'

export default class ProfileShow extends BaseCommand {
  static override summary = 'show every setting of a profile, and where it comes from'
  static override description = `Without a name: the profile in use. Passwords are never shown, and nothing is connected with.

Exit codes: 0 shown, 2 there is no such profile.`
  static override examples = [
    '<%= config.bin %> profile show',
    '<%= config.bin %> profile show default',
    '<%= config.bin %> profile show default --json',
  ]
  static override args = { name: Args.string({ ignoreStdin: true, description: 'name of the profile' }) }
  static override flags = listingFlags

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ProfileShow)
    const { profile } = await this.connection(args.name === undefined ? undefined : { value: args.name, origin: 'given' })
    const items = showProfile(await this.project(), profile, process.cwd())
    const sorted = await this.list(
      items,
      [
        { name: 'key', value: (item) => item.key },
        { name: 'value', value: (item) => String(item.value) },
        { name: 'origin', value: (item) => item.origin },
      ],
      flags,
      { id: (item) => item.key, fields: (item) => item, summary: { name: profile.value, total: items.length } },
    )
    this.next(`nsb profile test ${profile.value}`)
    return { schema: 'nsb.profile.show/1', name: profile.value, items: sorted }
  }
}

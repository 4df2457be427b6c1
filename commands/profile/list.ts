import { BaseCommand } from '../../src/cli/base-command.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { listProfiles } from '../../src/toolkit/profile/profiles.ts'

export default class ProfileList extends BaseCommand {
  static override summary = 'list the profiles, and which one is in use'
  static override description = `A profile is a connection with a name, in nsb.json or in the user's own file. Passwords are never shown.

Exit codes: 0 listed, 2 a file is not valid.`
  static override examples = [
    '<%= config.bin %> profile list',
    '<%= config.bin %> profile list --output ids',
    '<%= config.bin %> profile list --json',
  ]
  static override flags = listingFlags

  async run(): Promise<unknown> {
    const { flags } = await this.parse(ProfileList)
    const { profile } = await this.connection()
    const items = listProfiles(await this.project(), profile.value, process.cwd(), process.env)
    const sorted = await this.list(
      items,
      [
        { name: 'name', value: (item) => item.name },
        { name: 'current', value: (item) => (item.current ? 'yes' : 'no') },
        { name: 'transport', value: (item) => item.transport },
        { name: 'protect', value: (item) => (item.protect ? 'yes' : 'no') },
        { name: 'where', value: (item) => item.where },
        { name: 'origin', value: (item) => item.origin },
      ],
      flags,
      { id: (item) => item.name, fields: (item) => item, summary: { current: profile.value, total: items.length } },
    )
    if (profile.origin !== 'default') this.note(`${profile.value} is in use (${profile.origin})`)
    return { schema: 'nsb.profile.list/1', current: profile.value, origin: profile.origin, items: sorted }
  }
}

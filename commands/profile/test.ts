import { Args } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { Exit } from '../../src/cli/exit-codes.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { type TestedProfile, testProfile } from '../../src/toolkit/profile/test-profile.ts'

export default class ProfileTest extends BaseCommand {
  static override summary = 'connect with a profile, and say what is there'
  static override description =
    `Without a name: the profile in use. Tries the broker, the login, the permissions on a queue of its own that goes with the connection,
and the management API; changes nothing.

Exit codes: 0 all is well; 2 there is no such profile, or its connection cannot be read; 5 it cannot be reached, the login is refused,
something is not permitted, or the broker takes no messages for now.`
  static override examples = [
    '<%= config.bin %> profile test',
    '<%= config.bin %> profile test default --timeout 5s',
    '<%= config.bin %> profile test --json',
  ]
  static override args = { name: Args.string({ ignoreStdin: true, description: 'name of the profile' }) }

  async run(): Promise<unknown> {
    const { args } = await this.parse(ProfileTest)
    const connection = await this.connection(args.name === undefined ? undefined : { value: args.name, origin: 'given' })
    const tested = await testProfile(connection, await this.project(), {
      env: process.env,
      timeoutMs: this.bound,
      warn: (text) => this.warning(text),
    })
    const name = connection.profile.value
    if (tested === undefined) this.out(`${printableLine(name)} (${connection.transport.value}): nothing to test yet`)
    else if (this.#show(name, tested)) this.finish(Exit.cannotReach)
    return { schema: 'nsb.profile.test/1', name, transport: connection.transport.value, ...tested }
  }

  /** @returns is something wrong? */
  #show(name: string, tested: TestedProfile): boolean {
    const good = (text: string): void => this.out(`${this.colour.out.done('✓')} ${printableLine(text)}`)
    const hint = (text: string): void => this.out(`${this.colour.out.warning('!')} ${printableLine(text)}`)
    const bad = (text: string): void => this.out(`${this.colour.out.failure('✗')} ${printableLine(text)}`)
    if (tested.transport === 'learning') {
      const { origin, problem, storage } = tested
      if (problem === undefined) good(`${name}: learning, ${storage} (${origin})`)
      else bad(`${name}: ${problem} (${origin})`)
      return problem !== undefined
    }
    const { address, hasDelays, management, origin, product, refused, version } = tested
    good(`${name}: ${product} ${version} at ${address} (${origin})`)
    if (management.problem === undefined) good(`management API at ${management.address}`)
    else hint(`${management.problem} Lists of queues and delivery limits need it.`)
    if (hasDelays) good('exchanges for delayed messages')
    else hint('No exchanges for delayed messages yet: the first endpoint makes them, or nsb queues create.')
    if (refused.length === 0) good('queues may be declared, read and written')
    for (const problem of refused) bad(problem)
    return refused.length > 0
  }
}

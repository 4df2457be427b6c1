/** What the front page needs to know of a command. */
export interface KnownCommand {
  /** `errors:list` */
  readonly id: string
  readonly summary?: string | undefined
  readonly hidden?: boolean | undefined
  readonly aliases?: readonly string[] | undefined
  /** Its file, as steps from the package root. */
  readonly relativePath?: readonly string[] | undefined
}

const sentence = 'nsb develops and operates NServiceBus-style messaging systems: endpoints, messages and the error queue.'

/** In the order in which a newcomer needs them. */
const mostUsed = ['init', 'scaffold:handler', 'run', 'send', 'errors', 'errors:replay', 'errors:show', 'publish', 'errors:list', 'handlers']

/** Topics that have one line together. */
const together: Readonly<Record<string, string>> = {
  config: 'settings, and where each comes from',
  profile: 'connections with a name: which there are, and which one is used here',
  queues: 'the queues of the transport: kind, depth, consumers, delivery limit',
}

const words = (id: string): string => id.replaceAll(':', ' ')

function commandLines(commands: readonly KnownCommand[]): string[] {
  const width = Math.max(0, ...commands.map((command) => command.id.length))
  return commands.map((command) => `  nsb ${words(command.id).padEnd(width)}  ${command.summary ?? ''}`.trimEnd())
}

const visible = (commands: readonly KnownCommand[]): KnownCommand[] =>
  commands.filter((command) => command.hidden !== true).toSorted((a, b) => (a.id < b.id ? -1 : 1))

/** `nsb` alone: one sentence, the six most used commands, where to start. */
export function frontPage(commands: readonly KnownCommand[]): string {
  const shown = mostUsed.flatMap((id) => commands.filter((command) => command.id === id)).slice(0, 6)
  const story = commands.some((command) => command.id === 'init')
    ? ['', 'Start: nsb init shop && cd shop', 'On RabbitMQ: export NSB_CONNECTION=amqp://user:password@host:5672/vhost']
    : []
  return [sentence, '', ...commandLines(shown), ...story, '', 'All commands: nsb --help'].join('\n')
}

/** One command for each of {@link together}, named after all of its topic. */
function joined(commands: readonly KnownCommand[]): KnownCommand[] {
  const topicOf = (command: KnownCommand): string => command.id.split(':', 1)[0] as string
  return commands.flatMap((command, index) => {
    const topic = topicOf(command)
    const summary = Object.hasOwn(together, topic) ? together[topic] : undefined
    if (summary === undefined) return [command]
    const all = commands.filter((each) => topicOf(each) === topic)
    if (all[0] !== commands[index]) return []
    return [{ id: `${topic}:${all.map((each) => each.id.slice(topic.length + 1)).join('|')}`, summary }]
  })
}

/** `nsb --help`: every command, on one screen. */
export function helpPage(commands: readonly KnownCommand[]): string {
  return [
    sentence,
    '',
    'USAGE',
    '  nsb <command> [flags]',
    '',
    'COMMANDS',
    ...commandLines(joined(visible(commands))),
    '',
    'Flags, examples and exit codes of one command: nsb <command> --help',
    'Every command takes --json. Results go to stdout, everything else to stderr.',
  ].join('\n')
}

/** `nsb <topic>`: the commands under it; undefined when there are none. */
export function topicPage(topic: string, commands: readonly KnownCommand[]): string | undefined {
  const under = visible(commands).filter((command) => command.id.startsWith(`${topic}:`))
  return under.length === 0
    ? undefined
    : ['COMMANDS', ...commandLines(under), '', `Flags, examples and exit codes: nsb ${topic} <command> --help`].join('\n')
}

import ErrorsGroups from './groups.ts'

/** `nsb errors` alone. */
export default class Errors extends ErrorsGroups {
  static override summary = 'failed messages by group: short for errors groups'
  static override examples = ['<%= config.bin %> errors', '<%= config.bin %> errors --by type', '<%= config.bin %> errors --json']
}

import { BaseCommand } from '../../src/cli/base-command.ts'
export default class ErrorsList extends BaseCommand {
  static override enableJsonFlag = true
  static override summary = 'list failed messages'
  async run(): Promise<unknown> { return [] }
}

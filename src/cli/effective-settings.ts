import { withoutPasswords } from '../toolkit/config/secrets.ts'
import { type ShownSetting, settingsOf } from '../toolkit/config/settings.ts'
import { describeSource } from '../toolkit/profile/profiles.ts'
import { BaseCommand } from './base-command.ts'

/** Commands that show settings: those in force now, and those of the files. */
export abstract class EffectiveSettings extends BaseCommand {
  protected async settings(): Promise<readonly ShownSetting[]> {
    const project = await this.project()
    const { broker, profile, storage, transport } = await this.connection()
    const errorQueues = await this.errorQueues()
    const ofFile = project.origins['endpoint.errorQueue']
    return [
      { key: 'profile', ...profile, value: withoutPasswords(profile.value) },
      { key: 'transport', ...transport, value: withoutPasswords(transport.value) },
      ...(broker?.connection === undefined
        ? []
        : [{ key: 'connection', value: describeSource(broker.connection, process.env), origin: broker.connection.origin }]),
      ...(storage === undefined ? [] : [{ key: 'storage', ...storage, value: withoutPasswords(storage.value) }]),
      {
        key: 'error-queue',
        value: withoutPasswords(errorQueues.join(',')),
        origin: this.globals['error-queue'] === undefined ? (ofFile ?? 'default') : this.originOf('error-queue'),
      },
      ...settingsOf(project),
    ]
  }
}

import { Command } from '@oclif/core'
export abstract class BaseCommand extends Command {}

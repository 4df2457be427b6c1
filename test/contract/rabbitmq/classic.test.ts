import { rabbitContract } from './subject.ts'

rabbitContract('conventional', 'classic')

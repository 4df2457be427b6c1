import { rabbitContract } from './subject.ts'

rabbitContract('direct', 'quorum')

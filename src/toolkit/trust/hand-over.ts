import { identityOf, strangersOfCopy } from './stranger.ts'
import { isAllowed, whoseItIs } from './trust.ts'

/**
 * Why the copy of nsbus among the packages of a folder is not run; undefined: it may be. Read by bin/start.js.
 *
 * @param folder that holds the `node_modules`
 */
export function whyNoHandOver(folder: string, env: NodeJS.ProcessEnv): string | undefined {
  const stranger = strangersOfCopy(folder, identityOf(env)).find((each) => !isAllowed(each, env))
  if (stranger === undefined) return undefined
  // It is printed as it is, and a folder may be called anything.
  return `${whoseItIs(stranger)} The copy of nsbus in '${folder}' is not used; NSB_TRUST='${folder}' uses it.`.replaceAll(/\p{Cc}/gu, '?')
}

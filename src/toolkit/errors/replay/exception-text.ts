/** `System.Exception: no stock`, of what is known of it. */
export function exceptionText(type: string | undefined, message: string | undefined): string | undefined {
  if (type === undefined && message === undefined) return undefined
  return [type, message].filter((part) => part !== undefined && part !== '').join(': ')
}

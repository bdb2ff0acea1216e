// What was filled into a form.

/** Without white space around it; '' where nothing was. */
export function filledIn(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
}

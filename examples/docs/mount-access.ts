// Who may see the page that an app mounts: the app knows.
// #region access
/** By whatever the app's own log-in left: a session, a header of the proxy before it. */
export function isLoggedIn(request: Request): boolean {
  return request.headers.get('cookie')?.includes('session=of-an-operator') ?? false;
}
// #endregion access

<?php
/* The least of WordPress that deploy/wordpress/tally.php needs. Reads what the page is as JSON from standard input, runs the text of each of
 * `texts` through the_content, and writes the head and those texts as JSON. */
define( 'ABSPATH', '/' );
$page = json_decode( stream_get_contents( STDIN ), true );
if ( $page['url'] ) {
	define( 'TALLY_URL', $page['url'] );
}
if ( $page['rest'] ) {
	define( 'REST_REQUEST', true );
}
class WP_Post {
	public $ID;
	public $post_type;
	public $post_status;
	public function __construct( $of ) {
		foreach ( array( 'ID', 'post_type', 'post_status' ) as $name ) {
			$this->$name = $of[ $name ];
		}
	}
}
$post    = $page['post'] ? new WP_Post( $page['post'] ) : null;
$filters = array();
$now     = array(); // of the text that is filtered
function add_filter( $name, $what, $priority = 10, $arguments = 1 ) {
	global $filters;
	$filters[ $name ][] = $what;
}
function add_action( $name, $what ) {
	add_filter( $name, $what );
}
function apply_filters( $name, $value, ...$more ) {
	global $filters;
	foreach ( $filters[ $name ] ?? array() as $what ) {
		$value = $what( $value, ...$more );
	}
	return $value;
}
function untrailingslashit( $text ) {
	return rtrim( $text, '/' );
}
function is_multisite() {
	global $page;
	return $page['multisite'];
}
function get_current_blog_id() {
	return 2;
}
function is_singular( $types ) {
	global $page, $post;
	return $page['singular'] && $post && in_array( $post->post_type, (array) $types, true );
}
function get_queried_object() {
	global $post;
	return $post;
}
function get_queried_object_id() {
	global $post;
	return $post ? $post->ID : 0;
}
function get_the_ID() {
	global $now;
	return $now['ID'];
}
function in_the_loop() {
	global $now;
	return $now['loop'];
}
function is_main_query() {
	global $now;
	return $now['main'];
}
function doing_filter( $name ) {
	global $now;
	return 'get_the_excerpt' === $name && $now['excerpt'];
}
function post_password_required( $post ) {
	global $page;
	return $page['password'];
}
function is_preview() {
	global $page;
	return $page['preview'];
}
function is_feed() {
	global $page;
	return $page['feed'];
}
function is_embed() {
	return false;
}
function is_admin() {
	return false;
}
function wp_doing_ajax() {
	return false;
}
function amp_is_request() {
	global $page;
	return $page['amp'];
}
function esc_attr( $text ) {
	return htmlspecialchars( $text, ENT_QUOTES );
}
function esc_url( $url ) {
	return $url;
}
function esc_html( $text ) {
	return htmlspecialchars( $text );
}
function wp_print_script_tag( $attributes ) {
	echo '<script src="' . $attributes['src'] . '"></script>';
}
require $argv[1];
if ( $page['types'] ) {
	add_filter( 'tally_post_types', fn() => $page['types'] );
}
if ( null !== $page['article'] ) {
	add_filter( 'tally_article', fn() => $page['article'] );
}
ob_start();
apply_filters( 'wp_head', null );
$head  = ob_get_clean();
$texts = array();
foreach ( $page['texts'] as $now ) {
	$texts[] = apply_filters( 'the_content', $now['text'] );
}
echo json_encode( array( 'head' => $head, 'texts' => $texts ) );
